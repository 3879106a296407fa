"""The lane: a command run on a kernel of its own, with pure cgroup v2, in a virtual machine.

__main__        the command line, tries, exit status
options         what it asks for
kernel_package  Debian's kernel, cached          vmlinux, modules, cpio   the formats it comes and goes in
initramfs       the guest's first root           guest, stages/*.sh       what happens in the guest
boot            one boot, from parts to status   machine                  QEMU and virtiofsd
confinement     namespaces that hold those two   channel, relay           the way back of the output
"""
