# In a guest: serve DISK: exports the ext4 on a block device as /run/srv (NFSv3) and /export (NFSv4); as `frozen` and /frozen
# to be read only, as `squashed` and /squashed with root as nobody. end_server: kill -9.
serve() {
    mkdir -p /run/srv /run/ganesha
    for module in quota_tree quota_v2; do modprobe -d /run/modules $module || return 1; done
    mountpoint -q /run/srv || mount -t ext4 -o usrquota "$1" /run/srv || return 1
    cat >/run/ganesha.conf <<X
NFS_CORE_PARAM { NFS_Port = 20490; MNT_Port = 20491; Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }
NFSV4 { Graceless = true; Lease_Lifetime = 60; Grace_Period = 5; RecoveryRoot = /run/ganesha; RecoveryBackend = fs; Only_Numeric_Owners = true; }
NFS_KRB5 { Active_krb5 = false; }
LOG { Default_Log_Level = EVENT; }
EXPORT { Export_Id = 1; Path = /run/srv; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 3, 4; Transports = TCP; Attr_Expiration_Time = 0; FSAL { Name = VFS; } }
EXPORT { Export_Id = 2; Path = /run/srv; Pseudo = /frozen; Tag = frozen; Access_Type = RO; Squash = No_Root_Squash; SecType = sys; Protocols = 3, 4; Transports = TCP; Attr_Expiration_Time = 0; FSAL { Name = VFS; } }
EXPORT { Export_Id = 3; Path = /run/srv; Pseudo = /squashed; Tag = squashed; Access_Type = RW; Squash = Root_Squash; SecType = sys; Protocols = 3, 4; Transports = TCP; Attr_Expiration_Time = 0; FSAL { Name = VFS; } }
X
    start_server
}
start_server() {
    # With that capability no quota would bind it.
    LD_PRELOAD=$HELPERS/no_portmapper.so setpriv --bounding-set=-sys_resource ganesha.nfsd -F -f /run/ganesha.conf -L /run/ganesha.log -p /run/ganesha.pid \
        </dev/null >/dev/null 2>&1 &
    SERVER=$!
    echo $SERVER >/run/server
    while kill -0 $SERVER; do ss -ltn | grep -q ':20490' && return 0; sleep 0.1; done
    cat /run/ganesha.log
    return 1
}
end_server() { kill -9 "$(cat /run/server)"; }
