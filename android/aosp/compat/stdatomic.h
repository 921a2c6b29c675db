/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Android's sources include stdatomic.h from C++ and then also use std::atomic.
 * Bionic maps one to the other; clang's own header is for C and breaks the
 * second. Before C++23 libc++ leaves this to us.
 */
#ifndef _COMPAT_STDATOMIC_H
#define _COMPAT_STDATOMIC_H

#include <atomic>

using std::atomic_bool;
using std::atomic_compare_exchange_strong;
using std::atomic_compare_exchange_strong_explicit;
using std::atomic_compare_exchange_weak;
using std::atomic_compare_exchange_weak_explicit;
using std::atomic_exchange;
using std::atomic_exchange_explicit;
using std::atomic_fetch_add;
using std::atomic_fetch_add_explicit;
using std::atomic_fetch_and_explicit;
using std::atomic_fetch_or_explicit;
using std::atomic_fetch_sub;
using std::atomic_fetch_sub_explicit;
using std::atomic_init;
using std::atomic_int;
using std::atomic_int32_t;
using std::atomic_int_least32_t;
using std::atomic_load;
using std::atomic_load_explicit;
using std::atomic_signal_fence;
using std::atomic_store;
using std::atomic_store_explicit;
using std::atomic_thread_fence;
using std::memory_order;
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_consume;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

#endif
