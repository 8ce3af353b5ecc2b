"""What crosses the wire, and nothing else.

`names` and `provinces` say how things are called, `fields` what a value may look like, `envelope` what
stands around every event. `registry`, `evaluation` and `marketplace` hold the data models of their service's
submissions and domain events; `submission`, `outcome` and `topics` are the tables over them. `cloudevent`
reads what a province sends. `decision` is what a decider is given and gives back. `reasons` and `problems`
turn a refusal into words for a clerk.

Everything here is pure: no clock, no random, no input or output at import.
"""
