#!/bin/sh
# Started by miniflare in workerd's place: says which process the runtime is,
# then becomes it. A server that died meanwhile cannot stop it any more.
[ "$PPID" = "$SAM_SERVER_PID" ] || exit 1
echo $$ >"$SAM_WORKERD_PID_FILE.$SAM_SERVER_PID" || exit 1
echo $$ >"$SAM_WORKERD_PID_FILE" || exit 1
exec "$SAM_WORKERD" "$@"
