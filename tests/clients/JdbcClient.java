// A session by pgjdbc: told by libpq's environment variables where to, prints where it landed as JSON.
// Anything that is not as it should be ends it with an exception.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

public class JdbcClient {
  private static final int BIG = 1_000_000;

  public static void main(String[] arguments) throws Exception {
    String url = "jdbc:postgresql://" + env("PGHOST") + ":" + env("PGPORT") + "/" + env("PGDATABASE");
    try (Connection link = DriverManager.getConnection(url, properties())) {
      String landing = land(link);
      fail(link);
      carry(link);
      prepare(link);
      readByPortions(link);
      cancel(link);
      System.out.println(landing);
    }
  }

  private static Properties properties() {
    Properties words = new Properties();
    words.setProperty("user", env("PGUSER"));
    words.setProperty("password", env("PGPASSWORD"));
    words.setProperty("sslmode", env("PGSSLMODE"));
    if (System.getenv("PGSSLROOTCERT") != null) {
      words.setProperty("sslrootcert", env("PGSSLROOTCERT"));
    }
    words.setProperty("prepareThreshold", "2");
    return words;
  }

  private static String env(String name) {
    return System.getenv(name);
  }

  private static String land(Connection link) throws SQLException {
    try (Statement statement = link.createStatement(); ResultSet row = statement.executeQuery(env("LANDING"))) {
      row.next();
      return String.format("{\"address\": \"%s\", \"standby\": %b, \"tls\": %b}", row.getString(1),
                           row.getBoolean(2), row.getBoolean(3));
    }
  }

  private static void fail(Connection link) throws SQLException {
    try (Statement statement = link.createStatement()) {
      statement.executeQuery("select 1/0");
      throw new IllegalStateException("1/0 has a value");
    } catch (SQLException error) {
      check(error.getSQLState().equals("22012"), "SQLSTATE of 1/0: " + error.getSQLState());
    }
  }

  private static void carry(Connection link) throws SQLException {
    String big = "x".repeat(BIG);
    try (PreparedStatement statement = link.prepareStatement("select ?::text")) {
      statement.setString(1, big);
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        check(row.getString(1).equals(big), "a long value came back changed");
      }
    }
  }

  private static void prepare(Connection link) throws SQLException {
    try (PreparedStatement statement = link.prepareStatement("select ?::int + 1")) {
      for (int number = 0; number < 20; ++number) {
        statement.setInt(1, number);
        try (ResultSet row = statement.executeQuery()) {
          row.next();
          check(row.getInt(1) == number + 1, "a sum is wrong");
        }
      }
    }
  }

  private static void readByPortions(Connection link) throws SQLException {
    link.setAutoCommit(false);
    try (Statement statement = link.createStatement()) {
      statement.setFetchSize(100);
      int expected = 1;
      try (ResultSet row = statement.executeQuery("select generate_series(1, 1000)")) {
        while (row.next()) {
          check(row.getInt(1) == expected++, "a row is missing");
        }
      }
      check(expected == 1001, "rows are missing");
    }
    link.rollback();
    link.setAutoCommit(true);
  }

  // The driver opens a connection of its own for this.
  private static void cancel(Connection link) throws SQLException {
    try (Statement statement = link.createStatement()) {
      statement.setQueryTimeout(1);
      statement.execute("select pg_sleep(60)");
      throw new IllegalStateException("the cancel was lost");
    } catch (SQLException error) {
      check(error.getSQLState().equals("57014"), "SQLSTATE of a cancelled statement: " + error.getSQLState());
    }
    land(link);
  }

  private static void check(boolean right, String otherwise) {
    if (!right) {
      throw new IllegalStateException(otherwise);
    }
  }
}
