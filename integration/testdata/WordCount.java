import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Counts the words of the topic lines into the topic counts, exactly once: WordCount.java BOOTSTRAP FOLDER. Nothing is
 * cached, so each occurrence of a word is one record with its number. It runs until it is killed.
 */
public class WordCount {
  public static void main(String[] args) throws Exception {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, "words");
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    p.put(StreamsConfig.STATE_DIR_CONFIG, args[1]);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    p.put("auto.offset.reset", "earliest");
    p.put("group.instance.id", "one"); // who comes back need not wait until its former self is given up
    p.put("max.poll.records", 50); // many transactions

    StreamsBuilder b = new StreamsBuilder();
    b.<String, String>stream("lines")
        .flatMapValues(line -> List.of(line.split(" ")))
        .groupBy((key, word) -> word, Grouped.as("words"))
        .count(Materialized.as("words"))
        .toStream()
        .mapValues(n -> Long.toString(n))
        .to("counts", Produced.with(Serdes.String(), Serdes.String()));

    CountDownLatch over = new CountDownLatch(1);
    KafkaStreams streams = new KafkaStreams(b.build(), p);
    streams.setStateListener((now, before) -> {
      System.err.println(before + " -> " + now);
      if (now == KafkaStreams.State.ERROR) {
        over.countDown();
      }
    });
    streams.start();
    over.await();
    streams.close(Duration.ofSeconds(1));
    System.exit(1);
  }
}
