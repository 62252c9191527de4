"""The local Postgres and Redis: started, shared, adopted, and gone when nobody needs them."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
import redis

from isengard.studio import services
from isengard.studio.errors import StudioError
from isengard.studio.paths import StatePaths
from isengard.studio.postgres import Postgres
from isengard.studio.process import until, working_in
from isengard.studio.redis import Redis
from tests.studio.conftest import ROOT, clean_environment, run_with_services, studio_command

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_services")]


def insert(paths: StatePaths, number: int) -> None:
    with psycopg.connect(paths.database_url, autocommit=True) as database:
        database.execute("CREATE TABLE IF NOT EXISTS kept (number integer)")
        database.execute("INSERT INTO kept VALUES (%s)", (number,))


def kept(paths: StatePaths) -> list[int]:
    with psycopg.connect(paths.database_url) as database:
        return [row[0] for row in database.execute("SELECT number FROM kept ORDER BY number")]


def nothing_runs(paths: StatePaths) -> bool:
    return not working_in(paths.file("pg")) and not working_in(paths.file("redis")) and not paths.run.exists()


def tcp_listeners() -> set[str]:
    """Inodes of every listening TCP socket of this machine."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {line[9] for line in lines if line[3] == "0A"}


def socket_inodes(pid: int) -> set[str]:
    names = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {name[8:-1] for name in names if name.startswith("socket:[")}


def test_a_command_gets_both_services_and_nothing_is_left_behind(state: StatePaths) -> None:
    done = run_with_services(state, "sh", "-c", 'echo "$DATABASE_URL $REDIS_URL"; exit 7')
    assert done.returncode == 7
    assert done.stdout.split() == [state.database_url, state.redis_url]
    assert nothing_runs(state)


def test_both_services_answer(state: StatePaths) -> None:
    with services.held(state) as addresses:
        with psycopg.connect(addresses.database_url) as database:
            assert database.execute("SELECT current_database()").fetchone() == ("isengard",)
        assert redis.Redis.from_url(addresses.redis_url).set("a", "b")


def test_redis_keeps_a_log_and_never_evicts(state: StatePaths) -> None:
    with services.held(state) as addresses:
        found = redis.Redis.from_url(addresses.redis_url, decode_responses=True).config_get("*")
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "maxmemory": str(2**28)}
    assert {name: found[name] for name in wanted} == wanted


def test_nothing_listens_on_tcp(state: StatePaths) -> None:
    with services.held(state):
        inodes = [socket_inodes(pid) for pid in working_in(state.file("pg")) + working_in(state.file("redis"))]
        assert len(inodes) > 3
        assert not set().union(*inodes) & tcp_listeners()


def test_the_sockets_lie_in_folders_that_only_their_owner_may_enter(state: StatePaths) -> None:
    with services.held(state):
        folders = (state.postgres_socket, state.redis_socket.parent, state.file("pg"))
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
        assert len(os.fsencode(state.postgres_socket / ".s.PGSQL.5432")) < 108


def test_the_servers_see_nothing_of_our_environment(state: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary-in-the-environment")
    with services.held(state):
        pids = working_in(state.file("pg")) + working_in(state.file("redis"))
        assert not any(b"canary" in Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)


def test_a_second_user_adopts_the_running_server(state: StatePaths) -> None:
    with services.held(state):
        pid = Postgres(state).pid()
        inner = run_with_services(state, "sh", "-c", f"head -1 {state.file('pg')}/postmaster.pid")
        assert int(inner.stdout) == pid
        assert Postgres(state).pid() == pid


def test_rows_survive_a_clean_restart(state: StatePaths) -> None:
    with services.held(state):
        insert(state, 1)
    assert nothing_runs(state)
    with services.held(state):
        assert kept(state) == [1]


@pytest.mark.parametrize("everyone", [False, True], ids=["postmaster", "all backends"])
def test_rows_survive_a_killed_postgres_and_it_comes_back(state: StatePaths, everyone: bool) -> None:
    with services.held(state):
        insert(state, 1)
        pid = Postgres(state).pid()
        assert pid
        for victim in working_in(state.file("pg")) if everyone else [pid]:
            os.kill(victim, signal.SIGKILL)
        assert until(lambda: Postgres(state).pid() not in (None, pid) and Postgres(state).running(), 60)
        assert kept(state) == [1]


def test_redis_comes_back_with_its_entries_after_a_kill(state: StatePaths) -> None:
    with services.held(state) as addresses:
        client = redis.Redis.from_url(addresses.redis_url)
        client.rpush("doorbells", "gpu0")
        time.sleep(1.2)  # the log is written once a second
        pid = Redis(state).pid()
        os.kill(pid or 0, signal.SIGKILL)
        assert until(lambda: Redis(state).pid() not in (None, pid), 15)
        assert redis.Redis.from_url(addresses.redis_url).llen("doorbells") == 1


def test_asking_before_the_first_start_finds_nothing_and_makes_nothing(state: StatePaths) -> None:
    assert (Postgres(state).running(), state.state.exists(), state.root_data.exists()) == (False, False, False)


def test_nothing_runs_after_the_user_was_killed(state: StatePaths) -> None:
    user = subprocess.Popen(studio_command("run", state, "sleep", "60"), cwd=ROOT, env=clean_environment())
    assert until(lambda: Postgres(state).running() and Redis(state).running(), 60)
    user.kill()
    user.wait()
    assert until(lambda: nothing_runs(state), 60)


def test_a_killed_keeper_is_replaced_and_the_servers_are_adopted(state: StatePaths) -> None:
    with services.held(state):
        pid = Postgres(state).pid()
        os.kill(int(services.read_status(state)["pid"]), signal.SIGKILL)
        with services.held(state):
            assert Postgres(state).pid() == pid
    assert until(lambda: nothing_runs(state), 60)


def test_up_stays_until_down(state: StatePaths) -> None:
    shown = subprocess.run(
        studio_command("up", state), cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines()[0] == f"export DATABASE_URL='{state.database_url}'"
    assert Postgres(state).running()
    subprocess.run(studio_command("down", state), cwd=ROOT, env=clean_environment(), check=True)
    assert nothing_runs(state)


def test_two_state_directories_have_two_databases(state: StatePaths) -> None:
    other = StatePaths.of(state.state.with_name("other"))
    with services.held(state), services.held(other):
        insert(state, 1)
        insert(other, 2)
        assert (kept(state), kept(other)) == ([1], [2])


def test_a_second_start_makes_no_second_database(state: StatePaths) -> None:
    with services.held(state):
        made = (state.file("pg") / "PG_VERSION").stat().st_ino
    with services.held(state):
        assert (state.file("pg") / "PG_VERSION").stat().st_ino == made


def test_given_addresses_are_used_as_they_are(state: StatePaths) -> None:
    given = {"DATABASE_URL": "postgresql://a@b/c", "REDIS_URL": "redis://d"}
    with services.held(state, given) as addresses:
        assert addresses.environment() == given
    assert not state.state.exists()


def test_a_stale_pid_file_of_another_process_does_not_block_the_start(state: StatePaths) -> None:
    with services.held(state):
        pass
    file = state.file("pg") / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n{state.file('pg')}\n1\n5432\n{state.postgres_socket}\n\n 0 0\nready   \n")
    with services.held(state):
        assert Postgres(state).pid() not in (None, os.getpid())


def test_a_nearly_full_disk_is_one_sentence(state: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREE_SPACE_FLOOR_MB", "999999999")
    with pytest.raises(StudioError, match=r"nearly full.*Free some space"):
        services.prepare(state)


def test_a_folder_that_somebody_else_made_first_is_refused(state: StatePaths) -> None:
    state.run.symlink_to("/etc")
    try:
        done = run_with_services(state, "true")
    finally:
        state.run.unlink()
    assert done.returncode == 2
    assert "belongs to another user" in done.stderr
