import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's command-line tools one after the other, as their scripts do, but in one JVM. Strings have two bytes of
 * length in front, as DataInput says.
 *
 * <pre>
 * asked:    class, standard input, int32 number of arguments, each argument
 * answered: int32 exit code, int32 length, what the tool printed to both of its outputs
 * </pre>
 */
public class KafkaTools {
    /** What ends a tool instead of its process. */
    private static class Ended extends Error {
    }

    /** With what the tool wanted to end first; some take what ends them for an error, and want to end once more. */
    private static Integer wanted;

    /** What the tool wanted to be done at the end of its process. */
    private static final List<Runnable> LAST = new ArrayList<>();

    public static void main(String[] ignored) throws Exception {
        DataInputStream questions = new DataInputStream(System.in);
        DataOutputStream answers = new DataOutputStream(System.out);
        Exit.Procedure end = (code, message) -> {
            wanted = wanted == null ? code : wanted;
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        Exit.setShutdownHookAdder((name, what) -> LAST.add(what));
        for (;;) {
            String tool = next(questions);
            InputStream input = new ByteArrayInputStream(questions.readUTF().getBytes(StandardCharsets.UTF_8));
            String[] args = new String[questions.readInt()];
            for (int i = 0; i < args.length; i++) {
                args[i] = questions.readUTF();
            }
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            PrintStream out = new PrintStream(printed, true, StandardCharsets.UTF_8);
            System.setIn(input);
            System.setOut(out);
            System.setErr(out);
            int code = run(tool, args);
            LAST.forEach(Runnable::run);
            LAST.clear();
            out.flush();
            answers.writeInt(code);
            answers.writeInt(printed.size());
            printed.writeTo(answers);
            answers.flush();
        }
    }

    /** Reads the class. The end of the questions ends the process, with all threads that tools have left. */
    private static String next(DataInputStream questions) throws IOException {
        try {
            return questions.readUTF();
        } catch (EOFException e) {
            Runtime.getRuntime().halt(0);
            throw e;
        }
    }

    private static int run(String tool, String[] args) {
        wanted = null;
        int code = 1;
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args);
            code = 0;
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof Ended)) {
                e.getCause().printStackTrace();
            }
        } catch (ReflectiveOperationException e) {
            e.printStackTrace();
        }
        return wanted == null ? code : wanted;
    }
}
