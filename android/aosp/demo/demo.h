/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the parts of the demo program share.
 */
#ifndef BUS1_DEMO_DEMO_H
#define BUS1_DEMO_DEMO_H

#include <string>

/* The part of a process that IEcho serves; returns only on failure. */
int run_service(const std::string &device, const std::string &name);

/*
 * Runs all checks against the service `name`, which somebody else has started,
 * and prints TAP. `self` is this program, to start a second service with.
 */
int run_client(const std::string &self, const std::string &device, const std::string &name);

/* Waits until a context manager answers on the device; 0 if one does. */
int wait_manager(const std::string &device);

/* Makes the device `name` in the binderfs mounted at `dir`. */
int add_device(const std::string &dir, const std::string &name);

/*
 * The security context of this process; empty without a security module that
 * has contexts. A node may ask for its callers' only if there are any: the
 * driver refuses calls to such a node otherwise.
 */
std::string own_context();

#endif
