"""The toy clinic of several packages' tests: its rung.toml without a person, and answers that lead to training."""

from __future__ import annotations

SETTINGS = """
[review]
pool = "all"
[evaluation]
arms = ["base", "prompt"]
closed_set = "off"
[training]
rank = 4
learning_rate = 1e-3
epochs = 2
batch = 4
system_prompt = "House line."
precision = "fp32"
"""
ANSWERS = """
task = "extraction"
prompting = "insufficient"
prompt_effort_days = 6
few_shot = "insufficient"
rag = "insufficient"
failure = "breaks_rules"
output_form = "strict"
private_knowledge = false
knowledge_change = "never"
live_systems = false
citations = false
domain_behaviour = true
breadth = "narrow"
examples = 5000
reviewed_examples = 5000
model_access = "open"
privacy = "none"
budget = "moderate"
test_set = true
gpus = 0
"""
