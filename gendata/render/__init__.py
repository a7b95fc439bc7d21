"""Labelled images from meshes by Blender: objects, factors, scenes and workers."""
