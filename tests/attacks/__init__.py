"""The red team: attacks on a real room through its public API, each told as a story and each with its control."""
