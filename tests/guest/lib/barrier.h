/* SPDX-License-Identifier: Apache-2.0 */
/* Ordering between this CPU and a device that runs on another one (virtio 1.3, 2.7.13). */
#ifndef GUEST_LIB_BARRIER_H
#define GUEST_LIB_BARRIER_H

static inline void barrier_write(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void barrier_read(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void barrier_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
