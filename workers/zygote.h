/* zygote: forks workers on demand, reaps them, reports how each ended, kills by order. One thread, no secrets, no
 * listening socket, no request's data: what a worker inherits is this and nothing else. */
#ifndef FORKMAP_WORKERS_ZYGOTE_H
#define FORKMAP_WORKERS_ZYGOTE_H

#define ZYGOTE_CONTROL_FD 3

/* Serves orders on the control socket until its end of file; does not return. */
_Noreturn void zygote_main(void);

#endif
