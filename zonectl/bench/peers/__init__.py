"""Other kinds of isolation, which run the same probe from the same root.

- `classes`: the kinds that textbooks tell apart, and the loss that is claimed for each.
- `programs`: finding a peer's program.
- `conversation`: a peer's process with the probe at the end of its streams, which ends by itself in the end.
- `containers`: crun, runc, bubblewrap, systemd-nspawn, podman, lxc: how each is told to run the probe.
- `bundle`: the bundle of the OCI runtime specification that crun and runc want.
- `machines`: QEMU by emulation and by KVM, user-mode-linux: a kernel of their own, with the probe as its first process.
- `initramfs`: the root of such a machine.
- `clock`: whether a machine's time is the host's.
- `catalogue`: all of them by name.

Source: docs/adr/0103-the-same-probe-in-other-kinds.md.
"""
