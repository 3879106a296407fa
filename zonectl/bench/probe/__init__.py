"""The program that does the work and takes the time, in C; `build` compiles it where it is asked for."""
