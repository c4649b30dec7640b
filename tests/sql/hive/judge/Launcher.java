import java.io.File;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;

/**
 * Starts the judge behind a URLClassLoader: Hive casts the thread's class loader to one, which since Java 9 it no longer
 * is. What comes first on the path wins, so the stand-ins hide the classes of the same name in Hive's jars.
 *
 * <p>Arguments: folders and jars, in the order in which classes are searched.
 */
public final class Launcher {
    private Launcher() {}

    public static void main(String[] arguments) throws Exception {
        List<URL> path = new ArrayList<>();
        for (String argument : arguments) {
            path.add(new File(argument).toURI().toURL());
        }
        URLClassLoader loader = new URLClassLoader(path.toArray(new URL[0]), ClassLoader.getPlatformClassLoader());
        Thread.currentThread().setContextClassLoader(loader);
        OutputStream answers = System.out;
        System.setOut(System.err); // Hive prints progress; standard output carries answers and nothing else
        loader.loadClass("Judge").getMethod("serve", OutputStream.class).invoke(null, answers);
        System.exit(0); // Derby and Hadoop leave threads behind
    }
}
