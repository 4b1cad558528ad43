import java.io.BufferedReader;
import java.io.InputStreamReader;

/** Calls native methods from several threads all the while: by name, registered, and back into Java. */
public class Counter {
    static native int byName(int[] values);
    static native int registered(int value);
    static native long open();
    static native int ask(long handle);
    static native String text();
    static native boolean isKnown(long handle);
    static native boolean register();

    static int seen;

    static void called(int value) {
        seen = value;
    }

    static volatile boolean ends;
    static final java.util.Set<Integer> versions = java.util.concurrent.ConcurrentHashMap.newKeySet();

    static final java.util.concurrent.atomic.AtomicIntegerArray rounds =
            new java.util.concurrent.atomic.AtomicIntegerArray(4);

    static void callAllTheWhile(int thread) {
        int[] values = {1, 2, 3};
        while (!ends) {
            versions.add(byName(values) / 1000);
            versions.add(registered(5) / 1000);
            byte[][] garbage = new byte[50][1000];
            versions.add(garbage.length == 50 ? versionOf() : -1);
            rounds.incrementAndGet(thread);
        }
    }

    /** What a call returned before, a thread may note long afterwards. */
    static void awaitRounds() throws InterruptedException {
        for (int i = 0; i < rounds.length(); i++)
            for (int before = rounds.get(i); rounds.get(i) == before;)
                Thread.sleep(1);
    }

    static int versionOf() {
        return text().charAt(0) - '0';
    }

    public static void main(String[] arguments) throws Exception {
        System.load(arguments[0]);
        register();
        long handle = open();
        Thread[] threads = new Thread[rounds.length()];
        for (int i = 0; i < threads.length; i++) {
            int number = i;
            threads[i] = new Thread(() -> callAllTheWhile(number));
            threads[i].start();
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("ready");
        while (in.readLine() != null) {
            awaitRounds();
            versions.clear();
            System.gc();
            int asked = ask(handle);
            System.out.println(byName(new int[] {1, 2, 3}) + " " + registered(5) + " " + asked + " " + seen + " "
                    + text() + " " + isKnown(handle));
        }
        ends = true;
        for (Thread it : threads)
            it.join();
        System.out.println("end " + new java.util.TreeSet<>(versions));
    }
}
