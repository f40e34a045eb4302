"""Status of a project: ten stages with state and reason, the measured ladder, and the next command.

Read by `rung status`, by the Start screen, and by `rung` without a terminal. Computed from the artefacts in the folder
and the counts of the store each time; nothing is remembered here.
"""
