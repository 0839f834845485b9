"""What one sample is: an entity, or what is made of entities: a region of a picture, a window of a sequence."""
