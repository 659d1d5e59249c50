"""The chatbot that cites live posts."""
