// SPDX-License-Identifier: MIT OR Apache-2.0
package bus1.rstest;

import bus1.rstest.IPeer;

/** The context manager: where the processes of the tests find each other. */
interface IMeeting {
    /** Puts a peer at the end of the list of this room. */
    void join(String room, IPeer peer);

    /** Everybody who joined that room, the oldest first. */
    IPeer[] members(String room);

    /** One of the members has done its part. */
    void done(String room);

    /** How many of them have. */
    int finished(String room);
}
