//! Supervision of small shell scripts.

use super::*;

fn surroundings(dir: &tempfile::TempDir) -> Surroundings {
    let state = StateDir::open(Some(&dir.path().join("state"))).unwrap();
    fs::create_dir_all(state.logs()).unwrap();
    let environment = EnvironmentFile::create(&state).unwrap();
    Surroundings { state, console: Console::new(false), environment }
}

fn script(text: &str) -> Spec {
    Spec {
        name: "syncer",
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), text.to_owned()],
        env: vec![("GREETING".to_owned(), "hello".to_owned())],
        listener: None,
        ready_url: "http://127.0.0.1:9/readyz".to_owned(),
    }
}

async fn log_with(surroundings: &Surroundings, text: &str) -> String {
    for _ in 0..500 {
        let log = fs::read_to_string(surroundings.state.log_file("syncer")).unwrap_or_default();
        if log.contains(text) {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the log never said {text}");
}

fn pid(surroundings: &Surroundings) -> i32 {
    crate::environment::read(&surroundings.state.env_file()).unwrap()["SYNCER_PID"].parse().unwrap()
}

#[test]
fn the_pause_doubles_up_to_a_bound() {
    let pauses: Vec<u128> = [1, 2, 3, 6, 1000].map(|crashes| backoff(crashes).as_millis()).into();
    assert_eq!(pauses, [500, 1_000, 2_000, 15_000, 15_000]);
}

#[tokio::test]
async fn a_child_that_is_killed_is_started_again_and_its_new_pid_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let surroundings = surroundings(&dir);
    let child =
        Supervised::start(script("echo $GREETING from $$; exec sleep 600"), surroundings.clone()).unwrap();
    let first = pid(&surroundings);
    log_with(&surroundings, &format!("hello from {first}\n")).await;
    process::signal_pid(first, Signal::SIGKILL);
    assert!(process::gone_within(first, Duration::from_secs(5)).await);
    while pid(&surroundings) == first {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let second = pid(&surroundings);
    log_with(&surroundings, &format!("hello from {second}\n")).await;
    child.stop().await;
    assert!(!process::is_alive(second), "it is reaped");
}

#[tokio::test]
async fn a_child_that_refuses_its_configuration_is_not_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let surroundings = surroundings(&dir);
    let child =
        Supervised::start(script("echo NATS_URL is missing >&2; exit 64"), surroundings.clone()).unwrap();
    let error = child.ready(&reqwest::Client::new(), Duration::from_secs(10)).await.unwrap_err().to_string();
    assert!(error.contains("does not start") && error.ends_with("NATS_URL is missing"), "{error}");
    child.stop().await;
}

#[tokio::test]
async fn the_socket_arrives_as_standard_input_and_outlives_the_child() {
    let dir = tempfile::tempdir().unwrap();
    let surroundings = surroundings(&dir);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let text = "test -S /dev/stdin && echo socket as $LISTEN_FD; exec sleep 600";
    let spec = Spec { listener: Some(listener), ..script(text) };
    let child = Supervised::start(spec, surroundings.clone()).unwrap();
    log_with(&surroundings, "socket as 0\n").await;
    process::signal_pid(pid(&surroundings), Signal::SIGKILL);
    // Between two lives of the child a connection waits; it is not refused.
    std::net::TcpStream::connect(address).unwrap();
    child.stop().await;
}

#[tokio::test]
async fn variables_of_the_shell_do_not_reach_a_child() {
    let dir = tempfile::tempdir().unwrap();
    let surroundings = surroundings(&dir);
    let child = Supervised::start(script("env; echo end; exec sleep 600"), surroundings.clone()).unwrap();
    let log = log_with(&surroundings, "end\n").await;
    assert!(log.contains("PATH="), "{log}");
    assert!(!log.contains("CARGO"), "{log}");
    child.stop().await;
}
