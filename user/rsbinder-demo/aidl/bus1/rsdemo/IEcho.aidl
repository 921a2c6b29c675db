// SPDX-License-Identifier: MIT OR Apache-2.0
package bus1.rsdemo;

import bus1.rsdemo.ICallback;

/** The demo service: one method for each thing that Binder does. */
interface IEcho {
    /** Answers its argument. */
    String echo(String text);

    /** Answers the bytes in reverse order: data of any size, both ways. */
    byte[] reverse(in byte[] data);

    /** Calls callback.twice(value) before it answers with the result. */
    int callBack(ICallback callback, int value);

    /** Sends callback.tick(0) to callback.tick(count - 1), all oneway. */
    oneway void burst(ICallback callback, int count);

    /** Answers the object that it was given. */
    IBinder same(IBinder object);

    /** Answers the read end of a pipe that holds the text. */
    ParcelFileDescriptor pipe(String text);

    /** Who calls, as the driver says. */
    int callerPid();
    int callerUid();

    /** The service's own process id. */
    int pid();

    /** Never answers. */
    void hang();
}
