"""Tables of a reader made again from the topics: `rebuild` says how, the other modules are its parts."""
