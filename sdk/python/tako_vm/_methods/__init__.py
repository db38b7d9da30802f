"""The calls of TakoVM, by subject."""
