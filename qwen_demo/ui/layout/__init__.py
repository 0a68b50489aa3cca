"""The page's frame: header, rail, conversation, side panel, settings drawer."""
