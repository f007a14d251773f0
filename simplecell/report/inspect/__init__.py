"""Pages that let a person see as a net sees: the numbers of a picture, the layers of a net, its activity."""
