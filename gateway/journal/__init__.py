"""The durable buffer: events on flash until the far side has them. DESIGN.md gives the format."""
