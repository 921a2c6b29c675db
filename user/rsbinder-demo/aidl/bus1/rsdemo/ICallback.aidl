// SPDX-License-Identifier: MIT OR Apache-2.0
package bus1.rsdemo;

/** What the client offers to the service, so that it can be called back. */
interface ICallback {
    /** Answers 2 * value; the service calls it while the client waits. */
    int twice(int value);

    /** One of a burst; the client checks that they come in order. */
    oneway void tick(int number);
}
