// SPDX-License-Identifier: MIT OR Apache-2.0
package bus1.demo;

import bus1.demo.ICallback;

/** The demo service: one method for each thing that Binder does. */
interface IEcho {
    /** Answers its argument. */
    @utf8InCpp String echo(@utf8InCpp String text);

    /** Answers the bytes in reverse order: data of any size, both ways. */
    byte[] reverse(in byte[] data);

    /** Calls callback.twice(value) before it answers with the result. */
    int callBack(ICallback callback, int value);

    /** Calls callback.bounce(this, depth - 1) until depth is 0; answers the number of hops left. */
    int bounce(ICallback callback, int depth);

    /** Sends callback.tick(0) to callback.tick(count - 1), all oneway. */
    oneway void burst(ICallback callback, int count);

    /** Answers the object that it was given, or none. */
    @nullable IBinder same(@nullable IBinder object);

    /** Answers the read end of a pipe that holds the text. */
    ParcelFileDescriptor pipe(@utf8InCpp String text);

    /** Who calls, as the driver says. */
    int callerPid();
    int callerUid();
    @utf8InCpp String callerContext();

    /** The service's own process id. */
    int pid();

    /** Fails with this service-specific error. */
    void refuse(int error);

    /** Never answers. */
    void hang();
}
