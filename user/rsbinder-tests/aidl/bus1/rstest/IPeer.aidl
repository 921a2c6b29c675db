// SPDX-License-Identifier: MIT OR Apache-2.0
package bus1.rstest;

/** What every process of the tests offers to the others. */
interface IPeer {
    /** Answers its argument. */
    String echo(String text);

    /** Answers the bytes in reverse order: data of any size, both ways. */
    byte[] reverse(in byte[] data);

    /** Answers how many bytes they are: data of any size, one way. */
    int length(in byte[] data);

    /** Answers depth, which it finds by calls back and forth: there.down(here, depth - 1). */
    int down(IPeer there, IPeer here, int depth);

    /** Sends there.tick(0) to there.tick(count - 1), all oneway. */
    oneway void burst(IPeer there, int count);

    /** One of a burst, or of the mesh: number is one more than that of the call before. */
    oneway void tick(int number);

    /** Answers the objects in reverse order. */
    IBinder[] mirror(in IBinder[] objects);

    /** Answers so many fresh objects. */
    IBinder[] fresh(int count);

    /** Writes the text into the file. */
    void write(in ParcelFileDescriptor file, String text);

    /** Answers the read end of a pipe that holds the text. */
    ParcelFileDescriptor pipe(String text);

    /** Adds to its sum, which it answers. */
    long add(long value);

    /** The process id. */
    int pid();

    /** Never answers. */
    void hang();
}
