"""System calls that a zone's processes may make: profiles, compiled to BPF by ourselves, and loaded (seccomp(2)).

`architectures` knows the calls, `profile` says what may be done with them, `builtin` has the named profiles, `toml` and
`oci` read others from files; `assembler` and `compiler` make the program, `cache` keeps it, `listing` shows it.
"""
