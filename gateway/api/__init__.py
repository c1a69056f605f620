"""The endpoints: `raw` is the adapter that all of them share, the others are thin modules per family."""
