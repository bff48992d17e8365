"""The commands of `cleanroom-partner`, one module per topic. Thin: parse, call `partners.steps`, print."""
