#!/bin/sh
# Started by miniflare in workerd's place: says which process the runtime is,
# then becomes it.
echo $$ >"$SAM_WORKERD_PID_FILE" || exit 1
exec "$SAM_WORKERD" "$@"
