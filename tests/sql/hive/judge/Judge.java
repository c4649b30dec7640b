import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hadoop.hive.metastore.api.FieldSchema;
import org.apache.hadoop.hive.ql.Driver;
import org.apache.hadoop.hive.ql.processors.CommandProcessor;
import org.apache.hadoop.hive.ql.processors.CommandProcessorFactory;
import org.apache.hadoop.hive.ql.processors.CommandProcessorResponse;
import org.apache.hadoop.hive.ql.session.SessionState;

/**
 * Runs statements on genuine Hive within this process, as HiveServer2 does, but without its protocol.
 *
 * <p>A request is a line of JSON on standard input: {@code session} (a number; an unknown one opens a session) and
 * {@code statement} (without a semicolon), or without a statement, which closes the session. Its answer is a line of JSON
 * on standard output: {@code columns} and {@code rows}, or {@code code} (Hive's number of the error) and {@code error}.
 */
public final class Judge {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Map<Integer, SessionState> sessions = new HashMap<>();

    private Judge() {}

    public static void serve(OutputStream out) throws Exception {
        PrintStream answers = new PrintStream(out, true, StandardCharsets.UTF_8);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Judge judge = new Judge();
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(JSON.writeValueAsString(judge.answer(JSON.readTree(line))));
        }
    }

    private ObjectNode answer(JsonNode request) throws Exception {
        int session = request.get("session").asInt();
        if (!request.hasNonNull("statement")) {
            SessionState state = sessions.remove(session);
            if (state != null) {
                SessionState.setCurrentSessionState(state);
                state.close();
            }
            return JSON.createObjectNode();
        }
        SessionState state = sessions.get(session);
        if (state == null) {
            state = SessionState.start(new HiveConf(SessionState.class));
            sessions.put(session, state);
        }
        SessionState.setCurrentSessionState(state);
        return run(state.getConf(), request.get("statement").asText().trim());
    }

    private static ObjectNode run(HiveConf conf, String statement) throws Exception {
        CommandProcessor processor = CommandProcessorFactory.get(statement.split("\\s+"), conf);
        if (!(processor instanceof Driver)) { // SET, for one; it takes what follows its name
            String[] parts = statement.split("\\s+", 2);
            return refusal(processor.run(parts.length > 1 ? parts[1] : ""), JSON.createObjectNode());
        }
        Driver driver = (Driver) processor;
        try {
            CommandProcessorResponse response = driver.run(statement);
            ObjectNode answer = refusal(response, JSON.createObjectNode());
            if (response.getResponseCode() == 0) {
                fetch(driver, answer);
            }
            return answer;
        } finally {
            driver.close();
            driver.destroy();
        }
    }

    private static ObjectNode refusal(CommandProcessorResponse response, ObjectNode answer) {
        if (response.getResponseCode() != 0) {
            answer.put("code", response.getResponseCode());
            answer.put("error", String.valueOf(response.getErrorMessage()));
        }
        return answer;
    }

    private static void fetch(Driver driver, ObjectNode answer) throws Exception {
        ArrayNode columns = answer.putArray("columns");
        List<FieldSchema> fields = driver.getSchema() == null ? null : driver.getSchema().getFieldSchemas();
        if (fields == null) {
            return;
        }
        for (FieldSchema field : fields) {
            columns.addArray().add(field.getName()).add(field.getType());
        }
        ArrayNode rows = answer.putArray("rows");
        List<Object> some = new ArrayList<>();
        while (driver.getResults(some)) {
            for (Object row : some) {
                rows.add(JSON.valueToTree(row instanceof Object[] ? row : row.toString().split("\t", -1)));
            }
            some.clear();
        }
    }
}
