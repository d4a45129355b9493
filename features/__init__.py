"""From images to rows: the store, and the engine that fills it."""
