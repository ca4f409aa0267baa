/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Short-lived threads for code that enters another mount namespace. Only that thread changes its
 * namespace, and it ends when the code is done; no other thread is affected.
 */
#ifndef HV_VSS_NSTHREAD_H
#define HV_VSS_NSTHREAD_H

int nsthread_run(void *(*run)(void *arg), void *arg);
int nsthread_enter(int ns);
int nsthread_open_mountinfo(int proc);

#endif
