"""Pages for people: the room's public facts, in English and French. No script, no inline style, no cookie."""
