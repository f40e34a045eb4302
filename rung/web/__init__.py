"""Review in the browser: plain forms on the same service as shell and terminal, a little script on top."""
