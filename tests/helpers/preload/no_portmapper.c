/* Loaded into nfs-ganesha, which ends where there is no portmapper: registering succeeds. */
int rpcb_set(void);
int rpcb_unset(void);

int rpcb_set(void) { return 1; }
int rpcb_unset(void) { return 1; }
