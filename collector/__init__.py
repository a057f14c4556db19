"""The far side: stores each event once, acknowledges what is committed, keeps the books."""
