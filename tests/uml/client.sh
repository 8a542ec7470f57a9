# In a guest: the modules of the NFS client, and mount_nfs VERSION SERVER EXPORT FOLDER [OPTIONS].
ip link set lo up
mkdir -p /run/modules/lib/modules /run/tmp
ln -sfn "/usr/lib/uml/modules/$(uname -r)" /run/modules/lib/modules/
for module in nfs nfsv3 nfsv4; do modprobe -d /run/modules $module || exit 1; done
export TMPDIR=/run/tmp

mount_nfs() {
    local options=sec=sys,proto=tcp,port=20490,addr=$2
    case $1 in
    3) options+=,vers=3,nolock,noacl,mountproto=tcp,mountport=20491,mountaddr=$2 ;;
    *) options+=,vers=$1,clientaddr=${client:-127.0.0.1} ;;
    esac
    mkdir -p "$4"
    mount -i -t nfs -o "$options${5:+,$5}" "$2:$3" "$4"
}
