"""The views over a lake as SQL, one text for both engines: what holds now, what people say, what is known of things."""
