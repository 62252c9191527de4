"""The whole way of a job of masks, with the real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage
from PIL import Image

from characters import services
from characters.framing import masks
from characters.models import Examination, ReferenceImage
from isengard import storage
from isengard.jobs import runner
from isengard.jobs.host import EngineHost
from isengard.jobs.models import Job
from tests.people import make_character

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
PORTRAIT = Path(skimage.__file__).parent / "data" / "astronaut.png"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EngineHost]:
    host = EngineHost("cpu", tmp_path / "cpu.lock", {"OMP_NUM_THREADS": "1"})
    yield host
    host.close()


def test_a_person_is_masked_and_a_photo_without_its_file_is_told(volume: Path, host: EngineHost) -> None:
    mira = make_character(photos=1)
    storage.remove(mira.images.get().file)
    with PORTRAIT.open("rb") as file:
        portrait = services.add_image(character=mira, file=file, name="portrait.png").image
    face = {"x": 0.346, "y": 0.129, "width": 0.186, "height": 0.186}
    Examination.objects.create(image=portrait, version=1, faces=[face])
    job = masks.request(images=ReferenceImage.objects.all())[0]
    runner.run_lane("cpu", "test/0", host)
    done = Job.objects.get(pk=job.pk)
    assert (done.state, done.result["masks"], len(done.result["left"])) == ("completed", 1, 1)
    with Image.open(storage.absolute(ReferenceImage.objects.get(pk=portrait.pk).mask)) as mask:
        assert (mask.size, mask.getpixel((225, 110)), mask.getpixel((10, 10))) == ((512, 512), 255, 0)
