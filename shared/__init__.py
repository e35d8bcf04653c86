"""The code that the functions share. Imports point inward: nothing here imports a function."""
