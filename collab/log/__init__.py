"""The order: what a document's log holds, how a push is rebased, who gives each its place."""
