/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Stand-in for Android's selinux/android.h. servicemanager includes it, but off
 * Android uses nothing of it: its access checks then allow everything.
 */
#ifndef _COMPAT_SELINUX_ANDROID_H
#define _COMPAT_SELINUX_ANDROID_H

#endif
