// SPDX-License-Identifier: MIT OR Apache-2.0
package bus1.demo;

/** What the client offers to the service, so that it can be called back. */
interface ICallback {
    /** Answers 2 * value; the service calls it while the client waits. */
    int twice(int value);

    /** Calls echo.bounce(this, depth - 1) until depth is 0; answers the number of hops left. */
    int bounce(IBinder echo, int depth);

    /** One of a burst; the client checks that they come in order. */
    oneway void tick(int number);
}
