# Third stage: run the command, relay what it writes, report its status. $L and the settings are there.
#
# Two byte channels lead to the host, or one if the caller's stdout and stderr are the same file. Each carries
# one stream of the command and then the end mark: a byte 1, a secret token, the status as three digits.

for name in /sys/class/virtio-ports/*/name; do
    port=${name%/name}
    case $(cat $name) in
    out) OUT=/dev/${port##*/} ;;
    err) ERR=/dev/${port##*/} ;;
    esac
done

# A relay ends when nobody holds its pipe any longer; then it sends the mark.
relay() { exec cat $L/$1 $L/end >$2; }

ERR_PIPE=$L/err
mkfifo $L/out $L/err
exec 7<>$L/out 8<>$L/err # hold the pipes open until the command has them
relay out $OUT 7<&- 8<&- &
relays=$!
echo "lane: up" >/dev/console
if [ -n "$ERR" ]; then
    relay err $ERR 7<&- 8<&- &
    relays="$relays $!"
else
    ERR_PIPE=$L/out
fi
# Not in the background: there a shell makes its children ignore SIGINT and SIGQUIT, for good.
setsid /bin/sh $L/command </dev/null >$L/out 2>$ERR_PIPE 7<&- 8<&-
printf '\001%s%03d' $TOKEN $? >$L/end

# What the command left running may hold the pipes, so end it: all that has a session of its own. Process 1, the
# relays and the kernel's threads have none.
survivors() {
    left=
    for process in /proc/[0-9]*; do
        { read -r line <$process/stat; } 2>/dev/null || continue
        set -- ${line##*) } # state, parent, group, session
        case $1$4 in
        [ZX]* | *[!0-9]0) ;;
        *) left="$left ${process#/proc/}" ;;
        esac
    done
    [ -n "$left" ]
}
for pause in 0.1 0.2 0.4 0.8; do
    survivors || break
    kill -9 $left 2>/dev/null
    sleep $pause
done
sync
exec 7<&- 8<&-
if [ -n "$left" ] && survivors; then # not even SIGKILL ends them: report all the same
    sleep 5
    kill -9 $relays
    cat $L/end >$OUT
    [ -n "$ERR" ] && cat $L/end >$ERR
fi
while :; do # the host ends the machine
    wait
    sleep 60
done
