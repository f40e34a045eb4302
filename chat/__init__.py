"""Talk to a model. Everyone else sees only the protocols in `chat.protocols`."""
